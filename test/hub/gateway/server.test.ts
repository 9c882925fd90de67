import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { listen } from '#hub/gateway/server.js';

it('goes on when connections cannot be accepted', async () => {
  const server = createServer();
  await listen(server, { host: '127.0.0.1', port: 0, tlsCert: null, tlsKey: null });
  try {
    for (let i = 0; i < 3; i++) expect(() => server.emit('error', new Error('accept EMFILE'))).not.toThrow();
    expect(server.listening).toBe(true);
  } finally {
    server.close();
  }
});
