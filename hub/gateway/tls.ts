import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureVersion, type Server } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import type { Clock, Timer } from '#hub/clock.js';

/** 1.0 and 1.1 are deprecated (RFC 8996). */
const OLDEST_VERSION: SecureVersion = 'TLSv1.2';

/** PEM files: the certificate with its chain, and its private key. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** What a TLS server is given. */
export interface Credentials {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly minVersion: SecureVersion;
}

/** Reads both files at start. Throws with the option's name when one cannot be read. */
export function readCredentials(files: TlsFiles): Credentials {
  const read = (file: string, option: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new Error(`cannot read ${option} ${file}: ${wordsOf(error)}`, { cause: error });
    }
  };
  return { cert: read(files.cert, 'tlsCert'), key: read(files.key, 'tlsKey'), minVersion: OLDEST_VERSION };
}

/** `taken`: new connections get the new certificate; `same`: nothing has changed; `kept`: the new files cannot be used. */
export type ReloadResult = 'taken' | 'same' | 'kept';

/** Where the outcome is told. */
export interface ReloadLog {
  info(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

export interface ReloadOptions {
  readonly clock: Clock;
  readonly log: ReloadLog;
  /** How often the files are looked at. */
  readonly everyMs: number;
}

/**
 * Takes changed certificate files into use without closing a connection: whoever is connected stays on the old
 * certificate, whoever comes next gets the new one. Files that cannot be used are reported and the old ones stay.
 *
 * The files are looked at by the clock, not watched: a watch misses what Kubernetes and certbot do, which put a symbolic
 * link in the place of another.
 */
export class CertificateReloader {
  readonly #servers: Pick<Server, 'setSecureContext'>[];
  readonly #files: TlsFiles;
  readonly #options: ReloadOptions;
  /** What the files were when they were last read; empty: never. */
  #seen = '';
  #inUse: Credentials;
  #endsMs: number;
  /** A renewal writes two files, so what does not fit at one look is told only when it does not at the next. */
  #doubtful = false;
  #timer: Timer | null = null;
  #stopped = false;
  #last: Promise<ReloadResult> = Promise.resolve('same');

  constructor(server: Pick<Server, 'setSecureContext'>, files: TlsFiles, inUse: Credentials, options: ReloadOptions) {
    this.#servers = [server];
    this.#files = files;
    this.#inUse = inUse;
    this.#endsMs = new X509Certificate(inUse.cert).validToDate.getTime();
    this.#options = options;
  }

  /** Another server with the same certificate. */
  serve(server: Pick<Server, 'setSecureContext'>): void {
    server.setSecureContext(this.#inUse);
    this.#servers.push(server);
  }

  /** Looks at the files from now on. */
  watch(): void {
    this.#timer = this.#later();
  }

  /** Reads the files now (SIGHUP), whatever they look like. Never rejects. */
  reload(): Promise<ReloadResult> {
    return (this.#last = this.#last.then(() => this.#read(true)));
  }

  /** When the certificate in use ends, in seconds since 1970, by its file. */
  expirySeconds(): Readonly<Record<string, number>> {
    return { [this.#files.cert]: this.#endsMs / 1000 };
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Resolves once all looks that were begun have ended. */
  async settled(): Promise<void> {
    await this.#last;
  }

  #later(): Timer {
    return this.#options.clock.after(this.#options.everyMs, () => {
      this.#last = this.#last.then(() => this.#look());
      void this.#last.then(() => {
        if (!this.#stopped) this.#timer = this.#later();
      });
    });
  }

  async #look(): Promise<ReloadResult> {
    const now = await this.#identify();
    if (now === this.#seen && !this.#doubtful) return 'same';
    return this.#read(this.#doubtful);
  }

  /** `tell`: what cannot be used is reported now, not at the next look. */
  async #read(tell: boolean): Promise<ReloadResult> {
    if (this.#stopped) return 'same';
    try {
      // Before reading: a change during it is seen at the next look.
      this.#seen = await this.#identify();
      const [cert, key] = await Promise.all([readFile(this.#files.cert), readFile(this.#files.key)]);
      if (cert.equals(this.#inUse.cert) && key.equals(this.#inUse.key)) {
        this.#doubtful = false;
        return 'same';
      }
      return this.#take({ cert, key, minVersion: OLDEST_VERSION });
    } catch (error) {
      if (tell) {
        const text = 'the TLS certificate files cannot be used; the hub goes on with the certificate that it has';
        this.#options.log.error({ err: error, ...this.#files }, text);
      }
      this.#doubtful = !tell;
      return 'kept';
    }
  }

  /** Throws when certificate and key cannot be read as PEM or do not belong together; the server has not changed then. */
  #take(credentials: Credentials): ReloadResult {
    createSecureContext(credentials);
    const { subject, validTo, validToDate } = new X509Certificate(credentials.cert);
    for (const server of this.#servers) server.setSecureContext(credentials);
    this.#inUse = credentials;
    this.#endsMs = validToDate.getTime();
    this.#doubtful = false;
    this.#options.log.info({ subject, validTo }, 'new TLS certificate in use');
    return 'taken';
  }

  /** Changes whenever one of the files does, also when it is replaced by one of the same size. */
  async #identify(): Promise<string> {
    const one = async (file: string): Promise<string> => {
      try {
        const { ino, size, mtimeMs } = await stat(file);
        return `${ino} ${size} ${mtimeMs}`;
      } catch (error) {
        return wordsOf(error);
      }
    };
    return (await Promise.all([one(this.#files.cert), one(this.#files.key)])).join(', ');
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
