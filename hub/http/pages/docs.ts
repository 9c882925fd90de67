import { Html, html, page } from './html.ts';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: string;
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly 'x-muster-scope': string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content & { readonly description: string }>>;
}

interface Document {
  readonly info: { readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** The OpenAPI document as a page for people. Works without JavaScript. */
export function docsPage(openapi: object): string {
  const document = openapi as Document;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const groups = document.tags.map(({ name }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return html`<h2>${name}</h2>
      ${own.map(operationHtml)}`;
  });
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      html`<h3 id="${name}">${name}</h3>
        ${schemaHtml(schema)}`,
  );
  return page(
    'API',
    html`<header>
        <h1>Muster ${document.info.version}: the API</h1>
        <p>${inline(document.info.description)}</p>
        <p>
          The same for programs: <a href="/api/v1/openapi.json">openapi.json</a> (OpenAPI 3.1). Sign in:
          <a href="/sign-in">/sign-in</a>.
        </p>
        <pre>curl -H "Authorization: Bearer $MUSTER_TOKEN" $MUSTER_URL/api/v1/devices</pre>
      </header>
      <main>
        ${groups}
        <h2>Schemas</h2>
        ${schemas}
      </main>`,
  );
}

function operationHtml(shown: { path: string; method: string; operation: Operation }): Html {
  const { path, method, operation } = shown;
  const scope = operation['x-muster-scope'];
  const { parameters = [], requestBody, responses } = operation;
  return html`<details id="${operation.operationId}">
    <summary>
      <span class="method">${method}</span> <code>${path}</code> ${operation.summary}<span class="scope"
        >${scopeText(scope)}</span
      >
    </summary>
    ${parameters.length === 0 ? html`` : table(['Parameter', 'in', '', ''], parameters.map(parameterRow))}
    ${
      requestBody === undefined
        ? html``
        : html`<p><strong>Body</strong></p>
            ${contentHtml(requestBody)}`
    }
    ${table(
      ['Answer', '', ''],
      Object.entries(responses).map(([status, answer]) => responseRow(status, answer)),
    )}
  </details> `;
}

function scopeText(scope: string): string {
  if (scope === 'none') return 'open to all';
  if (scope === 'device') return 'devices';
  return scope === 'any' ? 'any caller' : `scope ${scope}`;
}

function parameterRow({ name, in: place, required, description = '', schema }: Parameter): readonly Html[] {
  return [
    html`<code>${name}</code>${required === true ? '' : ' ?'}`,
    html`${place}`,
    typeHtml(schema),
    inline(description),
  ];
}

function responseRow(status: string, answer: Content & { readonly description: string }): readonly Html[] {
  const bodies = Object.entries(answer.content ?? {}).map(
    ([type, { schema }]) => html`${typeHtml(schema)} <small>${type}</small>`,
  );
  return [html`${status}`, inline(answer.description), html`${bodies}`];
}

function contentHtml({ content = {} }: Content): Html {
  const [first, ...others] = Object.entries(content);
  if (first === undefined) return html``;
  // A payload, in any of these formats.
  if (others.length > 0) {
    const types = Object.keys(content).join(', ');
    return html`${schemaHtml(first[1].schema)}
      <p><small>${types}</small></p>`;
  }
  return schemaHtml(first[1].schema);
}

/** An object as a table of its fields; anything else as its type. */
function schemaHtml(schema: Schema): Html {
  const about = schema.description === undefined ? html`` : html`<p>${inline(schema.description)}</p>`;
  const { properties, required = [] } = schema;
  if (properties === undefined)
    return html`${about}
      <p>${typeHtml(schema)}</p>`;
  const rows = Object.entries(properties).map(([name, field]) => [
    html`<code>${name}</code>${required.includes(name) ? '' : ' ?'}`,
    typeHtml(field),
    inline(field.description ?? ''),
  ]);
  return html`${about}${rows.length === 0 ? html`<p>{}</p>` : table(['Field', '', ''], rows)}`;
}

function table(heads: readonly string[], rows: readonly (readonly Html[])[]): Html {
  const cells = rows.map(
    (row) =>
      html`<tr>
        ${row.map((cell) => html`<td>${cell}</td>`)}
      </tr>`,
  );
  return html`<table>
    <thead>
      <tr>
        ${heads.map((head) => html`<th>${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${cells}
    </tbody>
  </table>`;
}

/** A type in one line; named ones link to where they are described. */
function typeHtml(schema: Schema): Html {
  const { $ref, anyOf, oneOf, items, properties, required = [], additionalProperties } = schema;
  if ($ref !== undefined) {
    const name = $ref.slice($ref.lastIndexOf('/') + 1);
    return html`<a href="#${name}">${name}</a>`;
  }
  const choices = anyOf ?? oneOf;
  if (choices !== undefined) return joined(choices.map(typeHtml), ' | ');
  if (schema.enum !== undefined)
    return joined(
      schema.enum.map((one) => html`<code>${JSON.stringify(one)}</code>`),
      ' | ',
    );
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`;
  if (items !== undefined) return html`list of ${typeHtml(items)}`;
  if (properties !== undefined) {
    const fields = Object.entries(properties).map(
      ([name, field]) => html`<code>${name}</code>${required.includes(name) ? '' : '?'}: ${typeHtml(field)}`,
    );
    return html`{ ${joined(fields, ', ')} }`;
  }
  if (typeof additionalProperties === 'object') return html`by name: ${typeHtml(additionalProperties)}`;
  return html`${schema.format ?? schema.type ?? 'any JSON'}${boundsText(schema)}`;
}

function boundsText({ minimum, maximum }: Schema): string {
  if (minimum !== undefined && maximum !== undefined) return ` ${minimum} to ${maximum}`;
  return minimum === undefined || minimum === 0 ? '' : ` from ${minimum}`;
}

function joined(parts: readonly Html[], between: string): Html {
  return new Html(parts.map((part) => part.text).join(between));
}

/** Text in which `…` is code. */
function inline(text: string): Html {
  const parts = text.split('`').map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
  return joined(parts, '');
}
