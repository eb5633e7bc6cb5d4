import { callForeignFunction } from "./foreign";
import { ProtoWriter } from "./protobuf";
import { Status } from "./status";

/** How long Envoy keeps a value that is set; Outrigger keeps every one as long as its stream. */
export const enum LifeSpan {
  FilterChain = 0,
  DownstreamRequest = 1,
  DownstreamConnection = 2,
}

/** What a declared property holds. */
export const enum PropertyType {
  Bytes = 0,
  String = 1,
  FlatBuffers = 2,
  Protobuf = 3,
}

/** Functions of the host that act on the stream whose callback runs. */
export namespace streamState {
  /** Has the destination of the request chosen anew by its head as it is now. Only before the request headers went on. */
  export function clearRouteCache(): Status {
    return callForeignFunction("clear_route_cache", new Uint8Array(0));
  }

  /**
   * Keeps a text that other filters, and expressions, read as the property `filter_state.PATH`. NOT_FOUND without a stream,
   * INTERNAL when the stream has no room for more.
   */
  export function setFilterState(path: string, value: string, span: LifeSpan = LifeSpan.FilterChain): Status {
    const argument = new ProtoWriter();
    argument.stringField(1, path);
    argument.stringField(2, value);
    argument.varintField(3, span);
    return callForeignFunction("set_envoy_filter_state", argument.finish());
  }

  /**
   * Says what a property is that `property.set` sets: with `readOnly`, once in a stream. Call it in `onConfigure`.
   * INVALID_ARGUMENT when it was declared before.
   */
  export function declareProperty(
    name: string,
    readOnly: bool = false,
    type: PropertyType = PropertyType.Bytes,
    span: LifeSpan = LifeSpan.FilterChain,
  ): Status {
    const argument = new ProtoWriter();
    argument.stringField(1, name);
    argument.varintField(2, readOnly ? 1 : 0);
    argument.varintField(3, type);
    argument.varintField(5, span);
    return callForeignFunction("declare_property", argument.finish());
  }
}
