/** Samples of a Prometheus text, as far as the demo needs them. */
export class Scrape {
  readonly #samples: readonly { readonly name: string; readonly label: string | null; readonly value: number }[];

  constructor(text: string) {
    this.#samples = text.split('\n').flatMap((line) => {
      const match = /^([a-z_]+)(?:\{[a-z]+="([^"]*)"\})? (\S+)$/.exec(line);
      return match === null ? [] : [{ name: match[1]!, label: match[2] ?? null, value: Number(match[3]) }];
    });
  }

  /** Over all labels; 0 when there is no such metric. */
  sum(name: string): number {
    return this.#of(name).reduce((sum, sample) => sum + sample.value, 0);
  }

  byLabel(name: string): Record<string, number> {
    return Object.fromEntries(this.#of(name).map((sample) => [sample.label ?? '', sample.value]));
  }

  #of(name: string) {
    return this.#samples.filter((sample) => sample.name === name);
  }
}
