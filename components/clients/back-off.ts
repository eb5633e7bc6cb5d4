/** How long to wait before try number `attempt`, from 1: doubling from the first wait to the longest, half of it by chance. */
export function backOffMs(
  attempt: number,
  { firstMs = 50, longestMs = 2_000 }: { readonly firstMs?: number; readonly longestMs?: number } = {},
): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30)) * (0.5 + Math.random() / 2);
}
