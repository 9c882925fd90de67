#!/usr/bin/env node
// What npm links as `muster`. It looks at Node before anything else is loaded, so it is written in words that Node 14 reads,
// and imports nothing by itself.
import { launch } from './launch.ts';

launch(process, () => import('./main.ts'));
