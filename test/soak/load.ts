import { messageOf } from "../../components/thrown.ts";

/** One kind of use of the sidecar, made again and again by so many at a time. */
export interface SoakLoad {
  readonly name: string;
  readonly inFlight: number;
  /** Uses it once and checks what comes back; rejects when anything is not as it should be. */
  once(): Promise<void>;
}

/** How often each load was made, and what went wrong. */
export interface SoakCounts {
  readonly made: ReadonlyMap<string, number>;
  readonly errors: readonly string[];
}

/** Nothing of a soak takes longer, or it is an error. */
export const patienceMs = 20_000;
/** A sidecar that fails everything shall not fail it without end. */
const mostErrors = 20;

/** Makes all loads side by side until the signal aborts or too much went wrong; resolves when all have ended. */
export async function soak(
  loads: readonly SoakLoad[],
  counts: { made: Map<string, number>; errors: string[] },
  signal: AbortSignal,
): Promise<void> {
  const goesOn = (): boolean => !signal.aborted && counts.errors.length < mostErrors;
  const again = async ({ name, once }: SoakLoad): Promise<void> => {
    while (goesOn()) {
      try {
        await inTime(once());
        counts.made.set(name, (counts.made.get(name) ?? 0) + 1);
      } catch (error) {
        counts.errors.push(`${name}: ${messageOf(error)}`);
      }
    }
  };
  await Promise.all(loads.flatMap((load) => Array.from({ length: load.inFlight }, () => again(load))));
}

async function inTime(once: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came in ${patienceMs / 1000} seconds`)), patienceMs);
  });
  try {
    await Promise.race([once, late]);
  } finally {
    clearTimeout(timer);
  }
}
