/** What both entries of the package export, that of Node and that of browsers. */
export {
  CommandRejected,
  SendError,
  type ClientEvents,
  type ClientFigures,
  type ClientState,
  type Command,
  type CommandHandler,
  type DeviceClient,
  type SendErrorCode,
  type Sending,
} from './client.ts';
export type { ReadingInput, Readings } from './input.ts';
export type { DataMessage, EventMessage, Message, MessageReading } from './message.ts';
export type { CommonOptions } from './options.ts';
export type { DeviceQueue, QueueBounds } from './queue.ts';
export type { ReconnectRule } from './reconnect.ts';
export { memoryQueue } from './runtime.ts';
