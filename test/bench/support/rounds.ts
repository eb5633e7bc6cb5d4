/** Contenders take turns (A B A B …), so that whatever else the machine does falls on all of them alike. */
export interface Contender {
  readonly name: string;
  /** Of the process that is measured. */
  cpuSeconds(): number;
  /** Makes the process serve so many requests; rejects when one fails. */
  load(requests: number): Promise<unknown>;
}

export interface RoundOptions {
  /** Requests of one turn. */
  readonly requests: number;
  /** Requests before the first turn counts. */
  readonly warmUp: number;
  /** At least 3. */
  readonly rounds?: number;
}

/** Seconds for 100,000 requests, of all contenders of one run. */
export interface Costs {
  /** The median of the rounds. */
  of(name: string): number;
  /** The median of the rounds' ratios. */
  ratio(name: string, against: string): number;
  /** The least and the greatest of the rounds' ratios. */
  spread(name: string, against: string): readonly [number, number];
}

/** CPU seconds of the process, and beside them those that passed. */
export interface CpuCosts extends Costs {
  readonly wall: Costs;
}

/** The middle of some numbers, or what lies at another fraction of them in order. */
export function quantile(values: readonly number[], fraction = 0.5): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

export async function compare(contenders: readonly Contender[], options: RoundOptions): Promise<CpuCosts> {
  const { requests, warmUp, rounds = 5 } = options;
  for (const contender of contenders) await contender.load(warmUp);
  const noneYet = (): Map<string, number[]> => new Map(contenders.map(({ name }) => [name, []]));
  const [cpu, wall] = [noneYet(), noneYet()];
  const perRequests = (seconds: number): number => (seconds / requests) * 100_000;
  for (let round = 0; round < rounds; round++) {
    for (const { name, cpuSeconds, load } of contenders) {
      const [usedBefore, beganMs] = [cpuSeconds(), performance.now()];
      await load(requests);
      wall.get(name)?.push(perRequests((performance.now() - beganMs) / 1000));
      cpu.get(name)?.push(perRequests(cpuSeconds() - usedBefore));
    }
  }
  return { ...costsOf(cpu), wall: costsOf(wall) };
}

function costsOf(costs: ReadonlyMap<string, readonly number[]>): Costs {
  const of = (name: string): readonly number[] => {
    const measured = costs.get(name);
    if (measured === undefined) throw new Error(`no contender is called ${name}`);
    return measured;
  };
  const ratios = (name: string, against: string): readonly number[] => {
    const others = of(against);
    return of(name).map((cost, round) => cost / (others[round] ?? Number.NaN));
  };
  return {
    of: (name) => quantile(of(name)),
    ratio: (name, against) => quantile(ratios(name, against)),
    spread: (name, against) => [Math.min(...ratios(name, against)), Math.max(...ratios(name, against))],
  };
}
