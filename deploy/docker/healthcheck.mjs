// Exits with 0 when the hub in this container is ready, else with 1 and the reason. It knows the port and TLS from the same
// variables as the hub; a hub that has them from a file or from flags is named by HEALTHCHECK_URL.
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import process from 'node:process';

const LIMIT_MS = 4000;

const { MUSTER_PORT = '8080', MUSTER_TLS_CERT, HEALTHCHECK_URL } = process.env;
const url = HEALTHCHECK_URL ?? `${MUSTER_TLS_CERT ? 'https' : 'http'}://127.0.0.1:${MUSTER_PORT}/readyz`;
const get = url.startsWith('https:') ? getHttps : getHttp;

function end(problem) {
  if (problem !== null) process.stderr.write(`${url}: ${problem}\n`);
  process.exit(problem === null ? 0 : 1);
}

// The certificate is made out to the name by which devices reach the hub, and this asks the container itself.
get(url, { timeout: LIMIT_MS, rejectUnauthorized: false }, (response) => {
  end(response.statusCode === 200 ? null : `status ${response.statusCode}`);
})
  .on('timeout', () => end(`no answer within ${LIMIT_MS} ms`))
  .on('error', (error) => end(error.message));
