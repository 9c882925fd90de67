import type { Standard } from '../../clauses/standard.ts';
import { OWN_CHAPTERS, OWN_CLAUSES } from './own.ts';
import { STOMP_1_2_CHAPTERS, STOMP_1_2_CLAUSES } from './stomp-1-2.ts';
import { OLDER_CHAPTERS, STOMP_1_0_CLAUSES, STOMP_1_1_CLAUSES } from './stomp-older.ts';

const HOME = 'conformance/stomp/';

/** STOMP has no numbers of its own: statements are counted by chapter. */
export const STOMP: Standard = {
  file: 'stomp-conformance.md',
  home: HOME,
  head: `# Conformance to STOMP

Every statement of [STOMP 1.2](https://stomp.github.io/stomp-specification-1.2.html), where
[1.1](https://stomp.github.io/stomp-specification-1.1.html) and [1.0](https://stomp.github.io/stomp-specification-1.0.html) differ, and
what they leave to the server: in words of our own, whose duty it is, how binding, and the tests that show it. Where there is no test, or where
something is done otherwise, the reason stands. Duties of clients have a test where a server has to answer a client that neglects them.

The specification numbers nothing: the numbers are ours, in its order. Paths are under \`test/\`, names without a folder under
\`test/${HOME}\`: those tests send raw frames to a real hub over TCP and over WebSocket, in all three versions, most of them each with
whole frames, byte by byte, and with five frames in one write.

Made by \`npm run conformance\` from \`test/${HOME}clauses/\` and from the tags in test names, such as
\`[1.2: send-1] [1.0: same-1]\`; a test fails when this page differs, when a tag or a name leads nowhere, and when a duty of
servers has neither test nor reason.
`,
  parts: [
    { version: '1.2', heading: 'STOMP 1.2', chapters: STOMP_1_2_CHAPTERS, clauses: STOMP_1_2_CLAUSES },
    {
      version: '1.1',
      heading: 'STOMP 1.1, where it differs',
      chapters: OLDER_CHAPTERS,
      clauses: STOMP_1_1_CLAUSES,
    },
    {
      version: '1.0',
      heading: 'STOMP 1.0, where it differs',
      chapters: OLDER_CHAPTERS,
      clauses: STOMP_1_0_CLAUSES,
    },
    {
      version: 'own',
      heading: 'What STOMP leaves to the server',
      text: 'As `protocols/stomp/README.md` has it.',
      chapters: OWN_CHAPTERS,
      clauses: OWN_CLAUSES,
    },
  ],
};
