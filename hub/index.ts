/**
 * Muster within another program, such as the tests of a device's software:
 *
 *     const { config } = resolveConfig({ port: 0, data: folder }, {});
 *     const hub = await startHub(config, { log: createLog('warn') });
 *     … connect to hub.url …
 *     await hub.stop();
 */
export { startHub, type Hub, type HubOptions } from './compose.ts';
export { resolveConfig, ConfigError, type Config } from './config.ts';
export { createLog, type Log } from './observe/log.ts';
