import { empty } from "./empty-message.ts";
import { publishEventRequest, topicEventRequest, topicEventResponse } from "./event-messages.ts";
import { invokeResponse, invokeServiceRequest } from "./invoke-messages.ts";
import type { MessageShape } from "./message-shape.ts";
import {
  deleteBulkStateRequest,
  deleteStateRequest,
  executeStateTransactionRequest,
  getBulkStateRequest,
  getBulkStateResponse,
  getStateRequest,
  getStateResponse,
  saveStateRequest,
} from "./state-messages.ts";

/** The shapes of both messages of a method. */
export interface HotMethod {
  readonly request: MessageShape<unknown>;
  readonly response: MessageShape<unknown>;
}

const runtime = "/spec.proto.runtime.v1.Runtime";
const appCallback = "/spec.proto.runtime.v1.AppCallback";

/** The methods, by path, whose messages are read and written by hand; those of all others are by generated code. */
export const hotMethods: ReadonlyMap<string, HotMethod> = new Map<string, HotMethod>([
  [`${runtime}/GetState`, { request: getStateRequest, response: getStateResponse }],
  [`${runtime}/GetBulkState`, { request: getBulkStateRequest, response: getBulkStateResponse }],
  [`${runtime}/SaveState`, { request: saveStateRequest, response: empty }],
  [`${runtime}/DeleteState`, { request: deleteStateRequest, response: empty }],
  [`${runtime}/DeleteBulkState`, { request: deleteBulkStateRequest, response: empty }],
  [`${runtime}/ExecuteStateTransaction`, { request: executeStateTransactionRequest, response: empty }],
  [`${runtime}/PublishEvent`, { request: publishEventRequest, response: empty }],
  [`${runtime}/InvokeService`, { request: invokeServiceRequest, response: invokeResponse }],
  [`${appCallback}/OnTopicEvent`, { request: topicEventRequest, response: topicEventResponse }],
]);
