import * as z from 'zod';
import type { Answer } from '../answers.ts';
import { PATH_PARAMETERS } from '../path-parameters.ts';
import type { PayloadBody, Route } from '../route.ts';
import { COMPONENTS } from '../schemas/named.ts';

type Json = Record<string, unknown>;

const DESCRIPTION = `What people and programs may ask of a Muster hub. Errors are problem documents (RFC 9457) with a stable \`code\`.
Lists come in pages: give \`next\` back as \`after\`. Times: a raw number keeps its unit in its name, and beside it stands the same instant as text.
What an operation needs stands in \`x-muster-scope\`.`;

const SECURITY = {
  token: { type: 'http', scheme: 'bearer', description: 'An API token, `mst_…`; see POST /api/v1/tokens' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'muster_session',
    description: 'Set by POST /api/v1/sign-in. Requests other than GET need the header X-CSRF-Token as well',
  },
  device: { type: 'http', scheme: 'bearer', description: 'A token of the device itself; see createDevice' },
  deviceBasic: { type: 'http', scheme: 'basic', description: 'The same token as password, with any user name' },
};

/** The OpenAPI 3.1 document of these routes, made from the schemas that check requests and shape answers. */
export function openapiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  return {
    openapi: '3.1.1',
    info: {
      title: 'Muster',
      version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: { schemas: components(), securitySchemes: SECURITY },
  };
}

function operation(route: Route): Json {
  const { id, tag, summary, scope, body, payload, answers } = route;
  const parameters = [...pathParameters(route.path), ...queryParameters(route.query), ...headerParameters(route)];
  return {
    operationId: id,
    tags: [tag],
    summary,
    'x-muster-scope': scope,
    security: securityOf(route),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === null ? {} : { requestBody: requestBody(body) }),
    ...(payload === null ? {} : { requestBody: payloadBody(payload) }),
    responses: Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, response(answer)])),
  };
}

function securityOf({ scope }: Route): Json[] {
  if (scope === 'none') return [];
  return scope === 'device' ? [{ device: [] }, { deviceBasic: [] }] : [{ token: [] }, { session: [] }];
}

function payloadBody({ types, description }: PayloadBody): Json {
  return {
    required: true,
    content: Object.fromEntries(types.map((type) => [type, { schema: { description } }])),
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: requestSchema(PATH_PARAMETERS[name!]!),
  }));
}

function queryParameters(query: z.ZodType | null): Json[] {
  if (query === null) return [];
  const { properties = {}, required = [] } = requestSchema(query) as {
    properties?: Record<string, Json>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    ...(required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

function headerParameters({ headers }: Route): Json[] {
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  }));
}

function requestBody(body: z.ZodType): Json {
  return {
    required: !body.safeParse(undefined).success,
    content: { 'application/json': { schema: requestSchema(body) } },
  };
}

/** As a client writes it: before transformations. */
function requestSchema(schema: z.ZodType): Json {
  const { $schema: _, ...made } = z.toJSONSchema(schema, { io: 'input', override: tidy });
  return made;
}

function response({ schema, description, type, headers }: Answer): Json {
  const shown = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ]);
  return {
    description,
    ...(shown.length === 0 ? {} : { headers: Object.fromEntries(shown) as Json }),
    ...(type === null ? {} : { content: { [type]: { schema: answerSchema(schema) } } }),
  };
}

function answerSchema(schema: z.ZodType | null): Json {
  if (schema === null) return { type: 'string' };
  const id = COMPONENTS.get(schema)?.id;
  if (id === undefined) throw new Error('an answer has a schema without a name');
  return { $ref: `#/components/schemas/${id}` };
}

/** All named schemas, as the hub writes them. */
function components(): Json {
  const { schemas } = z.toJSONSchema(COMPONENTS, {
    io: 'output',
    uri: (id) => `#/components/schemas/${id}`,
    override: (context) => {
      tidy(context);
      // A later version may add a field: clients must not be made to fail on it.
      if (context.jsonSchema.additionalProperties === false) delete context.jsonSchema.additionalProperties;
    },
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _schema, $id: _id, ...schema }]) => [id, schema]),
  );
}

/** `z.int()` says the range of safe integers, which tells nobody anything. */
function tidy({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}
