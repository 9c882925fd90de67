/** Runs `task(0) … task(count − 1)`, at most `width` at a time. Rejects with the first failure, after which none is started. */
export async function inParallel(
  count: number,
  width: number,
  task: (index: number) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < count && !failed && signal?.aborted !== true) {
      try {
        await task(next++);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}
