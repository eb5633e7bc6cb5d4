import { Filter, register } from "@outrigger/plugin";

class Empty extends Filter {}

register<Empty>();
