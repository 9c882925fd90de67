import type { RefObject } from 'preact';
import { useLayoutEffect, useReducer, useState } from 'preact/hooks';
import {
  defaultRangeExtractor,
  observeWindowOffset,
  observeWindowRect,
  Virtualizer,
  windowScroll,
  type VirtualItem,
  type VirtualizerOptions,
} from '@tanstack/virtual-core';

/** Rows beyond the edges of the window: what a fast wheel passes within a frame. */
const OVERSCAN = 8;

export interface VirtualRows {
  readonly items: readonly VirtualItem[];
  readonly totalPx: number;
  /** Distance of the list from the top of the page. */
  readonly marginPx: number;
  readonly scrollToIndex: (index: number) => void;
}

export interface VirtualRowsOptions {
  readonly count: number;
  readonly rowPx: number;
  readonly list: RefObject<HTMLElement | null>;
  /** What sticks to the top of the window, and covers rows. */
  readonly coveredPx: number;
  /** Stays in the page wherever it is: it has the focus. Null: none. */
  readonly keptIndex: number | null;
}

/** The rows of a list that are in the window, which scrolls as a whole. TanStack Virtual without a framework. */
export function useVirtualRows({ count, rowPx, list, coveredPx, keptIndex }: VirtualRowsOptions): VirtualRows {
  const [, show] = useReducer((n: number, _: null) => n + 1, 0);
  const [marginPx, setMarginPx] = useState(0);
  const options: VirtualizerOptions<Window, HTMLElement> = {
    count,
    getScrollElement: () => window,
    estimateSize: () => rowPx,
    scrollToFn: windowScroll,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    initialOffset: () => scrollY,
    initialRect: { width: innerWidth, height: innerHeight },
    overscan: OVERSCAN,
    scrollMargin: marginPx,
    scrollPaddingStart: coveredPx,
    scrollPaddingEnd: rowPx,
    rangeExtractor: (range) => {
      const indexes = defaultRangeExtractor(range);
      if (keptIndex === null || keptIndex >= count || indexes.includes(keptIndex)) return indexes;
      return [...indexes, keptIndex].sort((a, b) => a - b);
    },
    onChange: () => show(null),
  };
  const [virtualizer] = useState(() => new Virtualizer<Window, HTMLElement>(options));
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => virtualizer._willUpdate());
  useLayoutEffect(() => virtualizer.measure(), [rowPx]);
  useLayoutEffect(() => {
    const place = (): void => {
      if (list.current) setMarginPx(Math.round(list.current.getBoundingClientRect().top + scrollY));
    };
    place();
    // Whatever grows or goes above the list changes the height of the page.
    const observer = new ResizeObserver(place);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);
  return {
    items: virtualizer.getVirtualItems(),
    totalPx: virtualizer.getTotalSize(),
    marginPx,
    scrollToIndex: (index) => virtualizer.scrollToIndex(index),
  };
}
