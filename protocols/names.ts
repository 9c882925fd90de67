/** The device's random name for its numbered queue (`StreamPosition.stream`). */
export const STREAM_NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** Name of an event: it is a topic level. */
export const EVENT_NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** Name of a command: it is a topic level. */
export const COMMAND_NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** Id of a command: it is a topic level. */
export const COMMAND_ID = /^[A-Za-z0-9-]{1,64}$/;
