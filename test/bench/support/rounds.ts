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

/** CPU seconds for 100,000 requests, of all contenders of one run. */
export interface Costs {
  /** The median of the rounds. */
  of(name: string): number;
  /** The median of the rounds' ratios. */
  ratio(name: string, against: string): number;
  /** The least and the greatest of the rounds' ratios. */
  spread(name: string, against: string): readonly [number, number];
}

/** The middle of some numbers, or what lies at another fraction of them in order. */
export function quantile(values: readonly number[], fraction = 0.5): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

export async function compare(contenders: readonly Contender[], options: RoundOptions): Promise<Costs> {
  const { requests, warmUp, rounds = 5 } = options;
  for (const contender of contenders) await contender.load(warmUp);
  const costs = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const before = contender.cpuSeconds();
      await contender.load(requests);
      costs.get(contender.name)?.push(((contender.cpuSeconds() - before) / requests) * 100_000);
    }
  }
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
