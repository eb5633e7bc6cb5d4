import type { ConfigChange } from "../../../components/config/config-store.ts";
import type {
  ConfigurationItem,
  RuntimeService,
  SubscribeConfigurationRequest,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { ConfigBlock, ConfigFeed, ConfigRequest } from "../config.ts";

/**
 * The configuration methods of Layotto's service. Every request on a stream of SubscribeConfiguration adds a selection
 * to it; the first that is in effect is told by the response metadata. A deleted item is empty and has the metadata
 * `deleted: true`, which no other has, whatever it was saved with. When the client half-closes, its stream ends. `subscribe_update` of GetConfiguration has no effect.
 */
export function configMethods(config: ConfigBlock) {
  return {
    async getConfiguration(request, call) {
      const items = await config.get(selectionOf(request), call);
      return { items: items.map(itemOf) };
    },
    async saveConfiguration({ storeName, appId, items }, call) {
      await config.save({ store: storeName, appId, items }, call);
      return {};
    },
    async deleteConfiguration(request, call) {
      await config.delete(selectionOf(request), call);
      return {};
    },
    async subscribeConfiguration(stream) {
      await using feed = config.feed(stream.call);
      void followAll(stream.requests, feed, () => stream.call.sendMetadata?.([]));
      for await (const { store, appId, changes } of feed) {
        await stream.write({ storeName: store, appId, items: changes.map(changeOf) });
      }
    },
  } satisfies HandlersOf<RuntimeService>;
}

/** Never rejects: what goes wrong ends the feed. */
async function followAll(
  requests: AsyncIterable<SubscribeConfigurationRequest>,
  feed: ConfigFeed,
  inEffect: () => void,
): Promise<void> {
  try {
    let first = true;
    for await (const request of requests) {
      await feed.follow(selectionOf(request));
      if (first) inEffect();
      first = false;
    }
    feed.end();
  } catch (error) {
    feed.fail(error instanceof Error ? error : new Error(String(error)));
  }
}

function selectionOf({ storeName, appId, group, label, keys }: SubscribeConfigurationRequest): ConfigRequest {
  return { store: storeName, appId, group, label, keys };
}

function itemOf({ key, content, group, label, tags, metadata }: Omit<ConfigChange, "deleted">): ConfigurationItem {
  return { key, content, group, label, tags: { ...tags }, metadata: { ...metadata } };
}

function changeOf(change: ConfigChange): ConfigurationItem {
  const item = itemOf(change);
  const { deleted: _, ...metadata } = item.metadata;
  return change.deleted ? { ...item, content: "", metadata: { ...metadata, deleted: "true" } } : { ...item, metadata };
}
