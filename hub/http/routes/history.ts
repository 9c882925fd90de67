import type { PageRequest } from '#hub/store/port.js';
import { json } from '../answers.ts';
import { found, foundOrKept } from '../found.ts';
import type { ApiLimits } from '../limits.ts';
import { pageByKey, pageQuery, type Asked } from '../paging.ts';
import { route, type Route } from '../route.ts';
import { eventPage, gapPage, pastConnectionPage, rejectedPage } from '../schemas/history.ts';
import { connectionRowJson, eventJson, gapJson, rejectedJson } from '../views.ts';

const tag = 'History';
const scope = 'read';

/** What a device did before: lists from the store, newest first. */
export function historyRoutes(limits: ApiLimits): readonly Route[] {
  const query = pageQuery(limits);
  const page = (asked: Asked): PageRequest => ({
    after: asked.after ?? null,
    limit: asked.limit ?? limits.defaultPageItems,
  });
  const common = { tag, scope, query, problems: ['not_found'] } as const;
  return [
    route(
      'GET',
      '/api/v1/devices/{device}/rejected',
      {
        ...common,
        id: 'listRejected',
        summary: 'Payloads that could not be used',
        answers: { 200: json(rejectedPage, 'A page, newest first') },
      },
      async ({ api, path, query }) => {
        found(api, path.device!);
        const { items, next, evicted } = await api.reader.rejected(path.device!, page(query));
        return { status: 200, body: { items: items.map(rejectedJson), next, evicted } };
      },
    ),
    route(
      'GET',
      '/api/v1/devices/{device}/events',
      {
        ...common,
        id: 'listEvents',
        summary: 'Events that a device sent',
        answers: { 200: json(eventPage, 'A page, newest first') },
      },
      async ({ api, path, query }) => {
        found(api, path.device!);
        const { items, next } = await api.reader.events(path.device!, page(query));
        return { status: 200, body: { items: items.map(eventJson), next } };
      },
    ),
    route(
      'GET',
      '/api/v1/devices/{device}/connections',
      {
        ...common,
        id: 'listDeviceConnections',
        summary: 'Connections of a device and their ends',
        answers: { 200: json(pastConnectionPage, 'A page, newest first') },
      },
      async ({ api, path, query }) => {
        const { items, next } = await api.reader.connections(path.device!, page(query));
        if (query.after === undefined) foundOrKept(api, path.device!, items);
        return { status: 200, body: { items: items.map(connectionRowJson), next } };
      },
    ),
    route(
      'GET',
      '/api/v1/devices/{device}/gaps',
      {
        ...common,
        id: 'listGaps',
        summary: 'Sequence numbers that a device skipped',
        answers: { 200: json(gapPage, 'A page, oldest first') },
      },
      async ({ api, path, query }) => {
        found(api, path.device!);
        const gaps = (await api.reader.gaps(path.device!)).map((gap, index) => ({ gap, key: orderKey(index) }));
        const { items, next } = pageByKey(gaps, ({ key }) => key, query, limits.defaultPageItems);
        return { status: 200, body: { items: items.map(({ gap }) => gapJson(gap)), next } };
      },
    ),
  ];
}

/** Gaps are only ever added, so their place is their name. */
function orderKey(index: number): string {
  return String(index).padStart(12, '0');
}
