import { MemoryRouter } from '#hub/router/memory.js';
import { routerContract } from '#test/contract/router.js';

routerContract('memory', (setup) => new MemoryRouter(setup));
