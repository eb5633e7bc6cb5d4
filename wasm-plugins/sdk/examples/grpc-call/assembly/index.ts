// Asks a gRPC service for a price before a request goes on: one message there, one back.
import {
  Action,
  decode,
  Filter,
  grpc,
  Headers,
  ProtoMessage,
  ProtoReader,
  ProtoWriter,
  register,
  Result,
} from "@outrigger/plugin";

/** `message Price { string sku = 1; uint64 cents = 2; }`; a generator writes such classes for larger protocols. */
class Price extends ProtoMessage {
  sku: string = "";
  cents: u64 = 0;

  write(writer: ProtoWriter): void {
    if (this.sku.length > 0) writer.stringField(1, this.sku);
    if (this.cents > 0) writer.varintField(2, this.cents);
  }

  read(reader: ProtoReader): void {
    while (reader.more()) {
      const tag = <u32>reader.varint();
      if (tag == 10) this.sku = reader.string();
      else if (tag == 16) this.cents = reader.varint();
      else reader.skip(tag);
    }
  }
}

class Pricing extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    const wanted = new Price();
    wanted.sku = this.request.headers.getOr("x-sku", "");
    const metadata = new Headers().add("x-shop", "delft");
    const sent = grpc.call<Pricing>(
      "prices", "shop.Prices", "Get", wanted.encode(), this, (self, answer) => self.answered(answer), 2000, metadata,
    );
    if (!sent.ok) {
      this.respondText(503, sent.toString());
    } else if (this.request.headers.has("x-cancel")) {
      grpc.cancel(sent.value); // its callback is not called any more
      return Action.Continue;
    }
    return Action.Pause;
  }

  private answered(answer: Result<Uint8Array>): void {
    if (!answer.ok) {
      this.respondText(502, answer.toString() + "\n", "no_price"); // such as NOT_FOUND: no such thing
      return;
    }
    const price = decode<Price>(answer.value);
    if (price.ok) this.request.headers.set("x-cents", price.value.cents.toString());
    this.request.resume();
  }
}

register<Pricing>();
