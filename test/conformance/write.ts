// Writes docs/mqtt-conformance.md and docs/stomp-conformance.md: npm run conformance
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { document, faults } from './clauses/report.ts';
import { allTags } from './clauses/tags.ts';
import { MQTT } from './mqtt/clauses/inventory.ts';
import { STOMP } from './stomp/clauses/inventory.ts';

for (const standard of [MQTT, STOMP]) {
  const tags = allTags(standard);
  for (const fault of faults(standard, tags)) console.error(fault);
  writeFileSync(join(import.meta.dirname, '..', '..', 'docs', standard.file), document(standard, tags));
}
