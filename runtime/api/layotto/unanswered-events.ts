import type { EventOutcome } from "../pubsub-delivery.ts";

/** An event that waits for its answer; disposing forgets it. */
export interface UnansweredEvent extends Disposable {
  /** What the subscriber says of it; `retry` when it says nothing in time. */
  readonly outcome: Promise<EventOutcome>;
}

/** The events of a stream that were sent and not answered yet. */
export class UnansweredEvents {
  readonly #timeoutMs: number;
  /** In the order in which they were sent: publishers choose the ids, so several may have the same. */
  readonly #events = new Set<{ readonly id: string; readonly answer: (outcome: EventOutcome) => void }>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** To be called before the event is sent. */
  expect(id: string): UnansweredEvent {
    const { promise: outcome, resolve: answer } = Promise.withResolvers<EventOutcome>();
    const event = { id, answer };
    this.#events.add(event);
    const timer = setTimeout(() => answer("retry"), this.#timeoutMs);
    return {
      outcome,
      [Symbol.dispose]: () => {
        clearTimeout(timer);
        this.#events.delete(event);
      },
    };
  }

  /** Without effect when no event of the id waits, as after the time for it. */
  answer(id: string, outcome: EventOutcome): void {
    const event = this.#events.values().find((one) => one.id === id);
    if (event === undefined) return;
    this.#events.delete(event);
    event.answer(outcome);
  }
}
