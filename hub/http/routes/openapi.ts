import * as z from 'zod';
import { json } from '../answers.ts';
import { route, type Route } from '../route.ts';
import { named } from '../schemas/named.ts';

const openapi = named('OpenApiDocument', z.looseObject({ openapi: z.string() }));

/** The document that describes the API, made by `document` when it is first asked for. */
export function openapiRoutes(document: () => object): readonly Route[] {
  return [
    route(
      'GET',
      '/api/v1/openapi.json',
      {
        id: 'openapi',
        tag: 'Hub',
        summary: 'This interface as an OpenAPI 3.1 document',
        scope: 'none',
        answers: { 200: json(openapi, 'The document; /api/docs shows it to people') },
      },
      () => ({ status: 200, body: document() }),
    ),
  ];
}
