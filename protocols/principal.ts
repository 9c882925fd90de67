/** Who a connection acts for. A device has one connection at a time, an application one per client id. */
export interface Principal {
  readonly kind: 'device' | 'application';
  /** Device id, or the application's name. */
  readonly id: string;
  /** True for principals of anonymous mode. */
  readonly anonymous: boolean;
  /** Of the token that named an application: the hub looks up by it what the application may do. */
  readonly keyId?: string;
}

const DEVICE_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** Device ids are `[A-Za-z0-9._:-]{1,128}`, never `me`: topics may write `me` for the id. `.` and `..` would be lost in URLs. */
export function isDeviceId(text: string): boolean {
  return DEVICE_ID.test(text) && text !== 'me' && text !== '.' && text !== '..';
}

/** What a client showed: the token is the secret, the user name beside it is a label and never an identity. */
export interface Credentials {
  readonly username: string | null;
  readonly password: string | null;
}
