import type { PluginError } from "./plugin-error.ts";

/** A deploy that has not come to its end. */
export interface DeployUnderWay {
  readonly version: string;
  readonly digest: string;
  readonly signal: AbortSignal;
  /** To be called when the deploy gives up because of its signal. */
  gaveUp(): void;
}

interface Entry extends DeployUnderWay {
  readonly controller: AbortController;
  hasGivenUp: boolean;
}

/** Who began again is behind what was asked for meanwhile. */
const again = new Error("the deploy begins again");

/** The deploys of one plugin that wait for their turn or run: what is asked for after them may end them, or be done first. */
export class DeploysUnderWay {
  readonly #entries = new Set<Entry>();

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Runs a deploy, which is to reject with the reason of its signal as soon as it can; once more when it was put off. */
  async run(
    { version, digest }: Pick<DeployUnderWay, "version" | "digest">,
    deploy: (self: DeployUnderWay) => Promise<void>,
  ): Promise<void> {
    for (;;) {
      const controller = new AbortController();
      const entry: Entry = {
        version,
        digest,
        controller,
        signal: controller.signal,
        hasGivenUp: false,
        gaveUp: () => {
          entry.hasGivenUp = true;
        },
      };
      this.#entries.add(entry);
      try {
        await deploy(entry);
        return;
      } catch (error) {
        if (error !== again) throw error;
      } finally {
        this.#entries.delete(entry);
      }
    }
  }

  /** Ends all that are under way, for that reason; says of the newest, once they have ended, whether it gave up. */
  cancel(reason: PluginError): () => DeployUnderWay | undefined {
    const entries = [...this.#entries];
    for (const { controller } of entries) controller.abort(reason);
    return () => entries.findLast(({ hasGivenUp }) => hasGivenUp);
  }

  /** Lets all that are under way begin again, behind what is asked for now. */
  putOff(): void {
    for (const { controller } of this.#entries) controller.abort(again);
  }
}

/** Whether a deploy ended only to begin again. */
export const beginsAgain = (error: unknown): boolean => error === again;
