/** Bounds of who has access: people and programs are few, so these only stop what has run wild. */
export const ACCESS_LIMITS = {
  /** Operators; all of them are held in memory and listed at once. */
  maxOperators: 1000,
  /** Tokens for the API and for applications. */
  maxTokens: 10_000,
  /** Places where one operator is signed in; past it the oldest sign-in ends. */
  maxSignInsPerOperator: 20,
  /** How long a one-time link is good: long enough to be sent to somebody in another shift. */
  linkMs: 24 * 3600 * 1000,
  /** Characters of a password. NIST SP 800-63B asks for 8 at least and for 64 to be taken; each more of the shortest counts. */
  minPasswordLength: 10,
  maxPasswordLength: 256,
  /** Characters of a token's label. */
  maxLabelLength: 64,
} as const;
