export interface AdmissionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxUnidentified: number;
}

export type AdmissionRefusal = 'too_many_connections' | 'too_many_from_address' | 'too_many_unidentified';

/** How many connections there are, in all, by address, and without an identity: nobody fills the hub alone. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #byAddress = new Map<string, number>();
  #total = 0;
  #unidentified = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Null: there is room. Nothing is counted yet. `identified`: who comes has said who it is already. */
  check(address: string, identified = false): AdmissionRefusal | null {
    if (this.#total >= this.#limits.maxConnections) return 'too_many_connections';
    if (!identified && this.#unidentified >= this.#limits.maxUnidentified) return 'too_many_unidentified';
    if ((this.#byAddress.get(address) ?? 0) >= this.#limits.maxConnectionsPerAddress) return 'too_many_from_address';
    return null;
  }

  enter(address: string): void {
    this.#total++;
    this.#unidentified++;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
  }

  identified(): void {
    this.#unidentified--;
  }

  leave(address: string, wasIdentified: boolean): void {
    this.#total--;
    if (!wasIdentified) this.#unidentified--;
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }

  get total(): number {
    return this.#total;
  }

  get unidentified(): number {
    return this.#unidentified;
  }
}
