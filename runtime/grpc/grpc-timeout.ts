/** Milliseconds in each unit of `grpc-timeout` (gRPC over HTTP/2, section "Requests"). */
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const mostDigits = 8;

/** The value of `grpc-timeout` in milliseconds; undefined when it is not 1 to 8 digits and a unit. */
export function parseTimeout(text: string): number | undefined {
  const last = text.length - 1;
  if (last < 1 || last > mostDigits) return undefined;
  let amount = 0;
  for (let at = 0; at < last; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    amount = amount * 10 + digit;
  }
  const unit = unitMs[text.charAt(last)];
  return unit === undefined ? undefined : amount * unit;
}
