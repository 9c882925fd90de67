// Writes docs/mqtt-conformance.md: npm run conformance
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { document, faults } from './report.ts';
import { allTags } from './tags.ts';

const tags = allTags();
for (const fault of faults(tags)) console.error(fault);
writeFileSync(join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'mqtt-conformance.md'), document(tags));
