import type { Request, Response } from 'express';

/** Holds the secret of a sign-in. No script of a page can read it, and no other site can make a browser send it. */
const NAME = 'muster_session';
/** 32 bytes in base64url. */
const SECRET = /^[A-Za-z0-9_-]{43}$/;

/** The secret that a browser sent; null: none, or nothing that could be one. */
export function cookieSecret(req: Request): string | null {
  for (const part of (req.get('cookie') ?? '').split(';')) {
    const [name, value = ''] = part.trim().split('=', 2);
    if (name === NAME && SECRET.test(value)) return value;
  }
  return null;
}

export function setCookie(req: Request, res: Response, secret: string, lifeMs: number): void {
  res.append('set-cookie', cookie(req, secret, Math.max(0, Math.floor(lifeMs / 1000))));
}

export function clearCookie(req: Request, res: Response): void {
  res.append('set-cookie', cookie(req, '', 0));
}

function cookie(req: Request, value: string, maxAgeSeconds: number): string {
  const secure = isEncrypted(req) ? '; Secure' : '';
  return `${NAME}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** TLS ends here, or at a proxy that says so. Whoever lies about it only keeps his own cookie from plain HTTP. */
function isEncrypted(req: Request): boolean {
  return req.secure || req.get('x-forwarded-proto')?.split(',')[0]?.trim() === 'https';
}
