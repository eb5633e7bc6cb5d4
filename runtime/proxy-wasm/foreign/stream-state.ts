import { Status } from "../abi.ts";
import { booleanField, readMessage, textField } from "../protobuf.ts";
import { type ForeignFunction, noResult, refuse } from "./foreign-function.ts";

/** Fuel for keeping a value. */
const keepCost = 1_000;

/** `clear_route_cache`: the destination of the request is chosen anew. No effect without a request. */
export const clearRouteCache: ForeignFunction = ({ stream }) => {
  stream?.host?.clearRoute();
  return noResult;
};

/** `set_envoy_filter_state` (`SetEnvoyFilterStateArguments`): a property that is read as `filter_state`, PATH. */
export const setEnvoyFilterState: ForeignFunction = ({ meter, stream, connection }, argument) => {
  const fields = readMessage(argument);
  const path = textField(fields ?? [], 1);
  if (fields === undefined || path === "") return refuse(Status.BAD_ARGUMENT, "its argument is no message with a path");
  meter.work(keepCost);
  const host = (stream ?? connection)?.host;
  if (host === undefined) return refuse(Status.NOT_FOUND, "there is no stream to keep it for");
  if (host.setProperty(["filter_state", path], Buffer.from(textField(fields, 2))) === false)
    return refuse(Status.INTERNAL_FAILURE, "the stream has no room for more properties");
  return noResult;
};

/** `declare_property` (`DeclarePropertyArguments`): of its wishes, that a property be set once in a stream is kept. */
export const declareProperty: ForeignFunction = ({ meter, root }, argument) => {
  const fields = readMessage(argument);
  const name = textField(fields ?? [], 1);
  if (fields === undefined || name === "") return refuse(Status.BAD_ARGUMENT, "its argument is no message with a name");
  meter.work(keepCost);
  const isReadOnly = booleanField(fields, 2);
  const refusal = root.declared.add(name, isReadOnly);
  return refusal === undefined ? noResult : refuse(refusal, `it cannot declare '${name.slice(0, 64)}'`);
};
