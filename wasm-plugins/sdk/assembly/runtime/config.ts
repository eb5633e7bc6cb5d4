import {
  ConfigurationItem,
  DeleteConfigurationRequest,
  GetConfigurationRequest,
  GetConfigurationResponse,
  SaveConfigurationRequest,
} from "../gen/spec/proto/runtime/v1/runtime";
import { failure, Result, Status, success } from "../status";
import { callRuntime, tellRuntime } from "./call";

/** Items of a configuration store. */
export namespace config {
  /** Reads items; no keys means every key. Keys that do not exist are left out. */
  export function get(
    store: string, keys: string[], group: string = "", label: string = "",
  ): Result<ConfigurationItem[]> {
    const request = new GetConfigurationRequest();
    request.storeName = store;
    request.keys = keys;
    request.group = group;
    request.label = label;
    const answer = callRuntime<GetConfigurationResponse>("GetConfiguration", request);
    return answer.ok ? success(answer.value.items) : failure<ConfigurationItem[]>(answer.code, answer.message);
  }

  /** Creates or overwrites items. */
  export function save(store: string, items: ConfigurationItem[]): Status {
    const request = new SaveConfigurationRequest();
    request.storeName = store;
    request.items = items;
    return tellRuntime("SaveConfiguration", request);
  }

  /** Removes items. */
  export function remove(store: string, keys: string[], group: string = "", label: string = ""): Status {
    const request = new DeleteConfigurationRequest();
    request.storeName = store;
    request.keys = keys;
    request.group = group;
    request.label = label;
    return tellRuntime("DeleteConfiguration", request);
  }

  /** An item to save. */
  export function item(key: string, content: string, group: string = "", label: string = ""): ConfigurationItem {
    const created = new ConfigurationItem();
    created.key = key;
    created.content = content;
    created.group = group;
    created.label = label;
    return created;
  }
}
