import type { Buffer } from 'node:buffer';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading } from '../reading.ts';
import { decodeCbor, decodeSenmlCbor } from './cbor.ts';
import { decodeJson, type PayloadOptions } from './json.ts';
import { decodeMsgpack } from './msgpack.ts';
import { decodeProtobuf } from './protobuf.ts';
import { decodeSenmlJson } from './senml-json.ts';

/** Bytes to readings. `nowMs` is the hub's clock in milliseconds since 1970. Throws PayloadError. */
export type PayloadDecoder = (
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options?: PayloadOptions,
) => Reading[];

export interface PayloadFormat {
  readonly name: string;
  readonly decode: PayloadDecoder;
  /** MIME types that name it, the usual one first. */
  readonly contentTypes: readonly string[];
  /** Last levels of a topic or path that name it. Topics cannot hold a `+` [MQTT-3.3.2-2], so its SenML names have a `-` there. */
  readonly topicFormats: readonly string[];
  /** A text that must be UTF-8, so that a charset in the content type can contradict it. */
  readonly isText: boolean;
}

/** The one table of formats; docs/payloads.md shows it, and a test compares them. */
export const PAYLOAD_FORMATS: readonly PayloadFormat[] = [
  {
    name: 'JSON',
    decode: decodeJson,
    contentTypes: ['application/json'],
    topicFormats: ['json'],
    isText: true,
  },
  {
    name: 'SenML JSON',
    decode: decodeSenmlJson,
    contentTypes: ['application/senml+json'],
    topicFormats: ['senml-json', 'senml+json'],
    isText: true,
  },
  {
    name: 'SenML CBOR',
    decode: decodeSenmlCbor,
    contentTypes: ['application/senml+cbor'],
    topicFormats: ['senml-cbor', 'senml+cbor'],
    isText: false,
  },
  {
    name: 'CBOR',
    decode: decodeCbor,
    contentTypes: ['application/cbor'],
    topicFormats: ['cbor'],
    isText: false,
  },
  {
    name: 'MessagePack',
    decode: decodeMsgpack,
    contentTypes: ['application/msgpack', 'application/vnd.msgpack', 'application/x-msgpack'],
    topicFormats: ['msgpack'],
    isText: false,
  },
  {
    name: 'Protobuf',
    decode: decodeProtobuf,
    contentTypes: ['application/x-protobuf', 'application/protobuf', 'application/vnd.google.protobuf'],
    topicFormats: ['protobuf'],
    isText: false,
  },
];
