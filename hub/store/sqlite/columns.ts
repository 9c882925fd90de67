/** Columns under the names of the port, for SELECT. */

export const CONNECTION_COLUMNS =
  'device, epoch, protocol, address, client_id AS clientId, connected_us AS connectedUs, ' +
  'disconnected_us AS disconnectedUs, reason, initiator, detail';

export const COMMAND_COLUMNS =
  'id, device, name, params, state, created_us AS createdUs, expires_us AS expiresUs, ' +
  'response_timeout_ms AS responseTimeoutMs, sent_us AS sentUs, received_us AS receivedUs, finished_us AS finishedUs, ' +
  'attempts, result, late_status AS lateStatus, late_result AS lateResult';

export const TOKEN_COLUMNS =
  'key_id AS keyId, hash, kind, subject, created_us AS createdUs, label, scopes, topics, ' +
  'expires_us AS expiresUs, created_by AS createdBy';

export const OPERATOR_COLUMNS =
  'name, role, password_hash AS passwordHash, disabled, created_us AS createdUs, updated_us AS updatedUs';
