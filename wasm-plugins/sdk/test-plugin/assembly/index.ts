// A plugin that uses every part of the library, so that a host can see what each of them does. `root id` chooses: `tour`
// is a filter, `desk` a service that waits for the runtime, `clerk` one that events and ticks come to.
import { register } from "@outrigger/plugin";
import { Clerk } from "./clerk";
import { Desk } from "./desk";
import { Tour } from "./tour";

register<Tour>("tour");
register<Desk>("desk");
register<Clerk>("clerk");
