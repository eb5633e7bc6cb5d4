import {
  StateOptions_StateConcurrency as Concurrency,
  StateOptions_StateConsistency as Consistency,
  type Etag,
  type GetStateResponse,
  type RuntimeService,
  type StateItem,
  type StateOptions,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { DeleteItem, ReadState, SaveItem, StateBlock } from "../state.ts";

/** The state methods of Layotto's service. */
export function stateMethods(state: StateBlock) {
  return {
    // The hottest method: a reaction costs half of what an async function does (bench:grpc).
    getState: ({ storeName, key, consistency }, call) =>
      state.get({ store: storeName, key, consistency: consistencyOf(consistency) }, call).then(readResponse),
    async getBulkState({ storeName, keys, parallelism }, call) {
      const items = await state.getBulk({ store: storeName, keys, parallelism }, call);
      return {
        items: items.map(({ key, value, etag, error, metadata }) => ({ key, data: value, etag, error, metadata })),
      };
    },
    async saveState({ storeName, states }, call) {
      await state.save({ store: storeName, items: states.map(saveItem) }, call);
      return {};
    },
    async deleteState({ storeName, key, etag, options }, call) {
      await state.delete({ store: storeName, items: [deleteItem({ key, etag, options })] }, call);
      return {};
    },
    async deleteBulkState({ storeName, states }, call) {
      await state.delete({ store: storeName, items: states.map(deleteItem) }, call);
      return {};
    },
    async executeStateTransaction({ storeName, operations }, call) {
      const steps = operations.map(({ operationType, request }) => ({
        operation: operationType,
        item: request && saveItem(request),
      }));
      await state.transact({ store: storeName, steps }, call);
      return {};
    },
  } satisfies HandlersOf<RuntimeService>;
}

const readResponse = ({ value, etag, metadata }: ReadState): GetStateResponse => ({ data: value, etag, metadata });

type Named = Pick<StateItem, "key" | "etag" | "options">;

function saveItem(item: StateItem): SaveItem {
  const { value, metadata, options } = item;
  return { ...deleteItem(item), value, metadata, consistency: consistencyOf(options?.consistency) };
}

function deleteItem({ key, etag, options }: Named): DeleteItem {
  return { key, etag: etagOf(etag), concurrency: concurrencyOf(options) };
}

/** Layotto's clients for JavaScript send the etag `0` where their user gave none; no store here makes such an etag. */
function etagOf(etag: Etag | undefined): string | undefined {
  return etag === undefined || etag.value === "0" ? undefined : etag.value;
}

function concurrencyOf(options: StateOptions | undefined): DeleteItem["concurrency"] {
  return options?.concurrency === Concurrency.CONCURRENCY_FIRST_WRITE ? "first-write" : "last-write";
}

function consistencyOf(consistency: StateOptions["consistency"] | undefined): SaveItem["consistency"] {
  return consistency === Consistency.CONSISTENCY_EVENTUAL ? "eventual" : "strong";
}
