import { createServer } from 'node:net';
import { stat } from 'node:fs/promises';

/** Gives the folder back. */
export type Unlock = () => void;

/**
 * Takes a folder for this program, until it gives it back or ends, however it ends; null: it is taken. A name in the system's table of
 * local sockets says so, because a file would outlive a program that is killed. On systems without such names every program gets the folder.
 */
export async function lockFolder(folder: string): Promise<Unlock | null> {
  const { dev, ino } = await stat(folder, { bigint: true });
  const path = socketName(`muster-queue-${dev}-${ino}`);
  if (path === null) return () => undefined;
  const server = createServer((socket) => socket.destroy());
  server.unref();
  const code = await new Promise<string | null>((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    server.listen({ path, exclusive: true }, () => resolve(null));
  });
  if (code === 'EADDRINUSE') return null;
  server.on('error', () => undefined);
  return () => server.close();
}

function socketName(name: string): string | null {
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : null;
}
