import type { ComponentChildren } from 'preact';
import type { Page } from '../../api.ts';
import type { PagedList, PagedState } from '../paged-list.ts';

/** A list of the hub with its states: on its way, empty, failed, and more to be had. */
export function ListView<T, P extends Page<T>>(props: {
  readonly list: PagedList<T, P>;
  readonly empty: string;
  readonly children: (state: PagedState<T, P>) => ComponentChildren;
}) {
  const { list, empty, children } = props;
  const state = list.state.value;
  const fault = list.fault.value;
  return (
    <>
      {fault !== null && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      {state === null && fault === null && <p class="none" aria-busy="true" />}
      {state !== null && (state.items.length === 0 ? <p class="none">{empty}</p> : children(state))}
      {state !== null && state.next !== null && (
        <button type="button" class="more" aria-disabled={list.isLoadingMore.value} onClick={() => void list.more()}>
          {list.isLoadingMore.value ? 'Loading…' : 'Show more'}
        </button>
      )}
    </>
  );
}
