/** Reasons that more than one statement has. */
export const REASONS = {
  noUserProperties: 'the hub writes no user properties of its own into this packet',
  noReasonString: 'the hub writes no reason string into this packet',
  noAuth: 'no authentication method is served, so the hub never sends AUTH',
  qos2: 'QoS 2 is served',
  retain: 'retained messages are served',
} as const;
