import type { Jar } from "./maven-jars.ts";

const jar = (coordinates: string, sha256: string): Jar => ({ coordinates, sha256 });

/** What a Kafka broker needs at run time of what its project publishes, by version: the last that could do without KRaft, and the newest. */
export const kafkaJars = {
  "3.9.2": [
    jar(
      "com.fasterxml.jackson.core:jackson-annotations:2.16.2",
      "d1cdd269ebaa753d1842933194e17d61958f058952d63e03dbfb3d1d78a6926e",
    ),
    jar(
      "com.fasterxml.jackson.core:jackson-core:2.16.2",
      "4f43e2f1430b2d2413e8e5a3d79138e57e891d6a961b18c28ac90859639d8664",
    ),
    jar(
      "com.fasterxml.jackson.core:jackson-databind:2.16.2",
      "53b6025d98c357068296e4b134242443a248c2c582800879f1c4ea93b54bafa6",
    ),
    jar(
      "com.typesafe.scala-logging:scala-logging_2.13:3.9.5",
      "87a3017d3f43e6ace7566fe4c3d615134c6914ff871c8d64bb32ca1d996d0545",
    ),
    jar("com.yammer.metrics:metrics-core:2.2.0", "6b7a14a6f34c10f8683f7b5e2f39df0f07b58c7dff0e468ebbc713905c46979c"),
    jar(
      "commons-validator:commons-validator:1.10.1",
      "ed74711a78d793ca37f6075e4a1e93d107233dfd20d0bb17e32bad88d38e56aa",
    ),
    jar("net.sf.jopt-simple:jopt-simple:5.0.4", "df26cc58f235f477db07f753ba5a3ab243ebe5789d9f89ecf68dd62ea9a66c28"),
    jar(
      "net.sourceforge.argparse4j:argparse4j:0.7.0",
      "65ceb669d88f63306c680f8088bbf765bbca72d288a61a03703000076c3d3f56",
    ),
    jar("org.apache.kafka:kafka-clients:3.9.2", "014b4ef36884478a932641818b080c36a8f8e2e92dc771e800c9d2694f4f83d8"),
    jar(
      "org.apache.kafka:kafka-group-coordinator-api:3.9.2",
      "bd903ba506c8309401a331ef1b826612d1cb95862879551031428da5cf50eab6",
    ),
    jar(
      "org.apache.kafka:kafka-group-coordinator:3.9.2",
      "d4d57f0955895cc38381f346f5ff7eba487afafa5ba264804af18393305b32fd",
    ),
    jar("org.apache.kafka:kafka-metadata:3.9.2", "ffe970aee12f00df4b0162f31c719df7c412f9207c166a74cef6611be25a255e"),
    jar("org.apache.kafka:kafka-raft:3.9.2", "f897533828e55ac466a5b183a25dccbe5a7b97c02162dac38e25338feddfe422"),
    jar(
      "org.apache.kafka:kafka-server-common:3.9.2",
      "0374b3f13c3c4b7fd446d35df1ccb0c60931ea27d4972b4de1bb1d548a87f5b2",
    ),
    jar("org.apache.kafka:kafka-server:3.9.2", "4f8667dbd664c4b0906e05499cfdc5f558f14c098b77fa6c09656cceb62a63ef"),
    jar("org.apache.kafka:kafka-storage-api:3.9.2", "565ab8540b50c7f00ea62c77a6639237ed3a80550245be70dc733f157cd280d6"),
    jar("org.apache.kafka:kafka-storage:3.9.2", "8a3d7b67dfcd34b1334d4994ed4106ba9c9b37ebcbb177ac47ff44050e8ab84b"),
    jar(
      "org.apache.kafka:kafka-transaction-coordinator:3.9.2",
      "d6ca25648111dfd11f76d3d0f7f51a9458784b645f4e56ce34fbc58d9c9d0296",
    ),
    jar("org.apache.kafka:kafka_2.13:3.9.2", "dddf49b18c931301fece0048a76d6b0956c36c8b1d1fc721bfed318aa6ee3e4f"),
    jar("org.apache.zookeeper:zookeeper:3.8.4", "2d77b152039e7f85dc5438a9304febff86a2f3e55c88976a8be309af39028e97"),
    jar("org.pcollections:pcollections:4.0.1", "1f82766d7c3221930854033bebff5073ea46b43f27326074bbe15d148c18bfb3"),
    jar(
      "org.scala-lang.modules:scala-java8-compat_2.13:1.0.2",
      "90d5b13656be93fb779b8d7c723efa2498a34af06273bb5204afb65f85a20c1b",
    ),
    jar("org.scala-lang:scala-library:2.13.15", "8e4dbc3becf70d59c787118f6ad06fab6790136a0699cd6412bc9da3d336944e"),
    jar("org.slf4j:slf4j-api:1.7.36", "d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0"),
  ],
  "4.4.0": [
    jar(
      "com.fasterxml.jackson.core:jackson-annotations:2.21",
      "53ca085f4a150f703f49e1aabd935bd03b43e1ea3d55d135438292af22cef56b",
    ),
    jar(
      "com.fasterxml.jackson.core:jackson-core:2.21.7",
      "8c5623b98f32d5f7e1287ff61ed50e08ab7b11381e991fff89327faabba42261",
    ),
    jar(
      "com.fasterxml.jackson.core:jackson-databind:2.21.7",
      "1290c2795e93e8a6861a6c4d9ff0d844d32f5ea178362cb2721edf5561e828b1",
    ),
    jar(
      "com.fasterxml.jackson.dataformat:jackson-dataformat-yaml:2.21.7",
      "df2b3e6a194181dc067b7211d750926b4ae9e4f3c892a0005b8219a9b59be681",
    ),
    jar("com.google.re2j:re2j:1.8", "7b52c72156dd7f98b3237a5b35c1d34fba381b21048c89208913ad80a45dfbd7"),
    jar(
      "com.typesafe.scala-logging:scala-logging_2.13:3.9.6",
      "0ad0c3f4d89d538b3b6c300158555e266aa69cf1b5f6522aba8b5bad238eb994",
    ),
    jar("com.yammer.metrics:metrics-core:2.2.0", "6b7a14a6f34c10f8683f7b5e2f39df0f07b58c7dff0e468ebbc713905c46979c"),
    jar(
      "commons-validator:commons-validator:1.10.1",
      "ed74711a78d793ca37f6075e4a1e93d107233dfd20d0bb17e32bad88d38e56aa",
    ),
    jar("net.sf.jopt-simple:jopt-simple:5.0.4", "df26cc58f235f477db07f753ba5a3ab243ebe5789d9f89ecf68dd62ea9a66c28"),
    jar(
      "net.sourceforge.argparse4j:argparse4j:0.7.0",
      "65ceb669d88f63306c680f8088bbf765bbca72d288a61a03703000076c3d3f56",
    ),
    jar("org.apache.kafka:kafka-clients:4.4.0", "1ab07317eb6633241392449d329dbdc5d9251e6ffc4926860f42dd966e88bdf9"),
    jar(
      "org.apache.kafka:kafka-coordinator-common:4.4.0",
      "e380267a17981edbadaa2e2e785f18dc1b5671abf2d1084eb7da06a765c71d0c",
    ),
    jar(
      "org.apache.kafka:kafka-group-coordinator-api:4.4.0",
      "bf11d7586c7363ba72a16ac5ef80c65365de9166469f7f6fc4ac5d2e0a98213a",
    ),
    jar(
      "org.apache.kafka:kafka-group-coordinator:4.4.0",
      "3fc830ace54f6a13f9f536bc0564bf39a68797365a4c4b194bd7db4fb893b2bc",
    ),
    jar("org.apache.kafka:kafka-metadata:4.4.0", "6c52de74ecd670332e1e1324f5d40311275ac49b22699b6722e5fb07dd266fcb"),
    jar("org.apache.kafka:kafka-raft:4.4.0", "687f278ce5d82b7f53644643e21e1a7452530f202826108990f0fe4f3d334d4f"),
    jar(
      "org.apache.kafka:kafka-server-common:4.4.0",
      "e50931831a27a2f3eb6cf74e8d63cc325b4e98656f30e94f8829297951ca5080",
    ),
    jar("org.apache.kafka:kafka-server:4.4.0", "5f5456c2976203525080220212639f7033274b94458ceabf44197f4800bd615c"),
    jar(
      "org.apache.kafka:kafka-share-coordinator:4.4.0",
      "6969a7961ca98d37a039bbe0af0fe761d6b0dd07ca9666802f47821167afbb6e",
    ),
    jar("org.apache.kafka:kafka-storage-api:4.4.0", "edd47a86cdce283fc15d033090417a5dec29642eb807713f2e807e3c46b5ca46"),
    jar("org.apache.kafka:kafka-storage:4.4.0", "9eaa4dafacc251080ece0efa8511283da5de6931e843457f6af87f02f9b50039"),
    jar(
      "org.apache.kafka:kafka-transaction-coordinator:4.4.0",
      "1d5324d59776d6b7f324cfdc87647b1e88f9823332201c0324e7ae9f210d915d",
    ),
    jar("org.apache.kafka:kafka_2.13:4.4.0", "76d3314f873571677ff98620ab9a431e508e3687f921a3df4f70d692a970475e"),
    jar(
      "org.apache.logging.log4j:log4j-api:2.25.5",
      "64777f73ea0b3104c04eb82befbdccc30a425a19e83ad06cb2f93aa303511863",
    ),
    jar(
      "org.apache.logging.log4j:log4j-core:2.25.5",
      "050c4f85deb48b055e9c041ac39043fbb79ce477841a11a1eb2969c86c6a0072",
    ),
    jar("org.hdrhistogram:HdrHistogram:2.2.2", "22d1d4316c4ec13a68b559e98c8256d69071593731da96136640f864fa14fad8"),
    jar("org.pcollections:pcollections:4.0.2", "2bbeef5797a241300c4f7513cd546239629ed7deda4fc0c31df90bb95f5f13ef"),
    jar("org.scala-lang:scala-library:2.13.18", "4e85d96ff7bc7dc627985523c3541b9917aaa08e956391380c42db21a2c4e5a0"),
    jar("org.slf4j:slf4j-api:1.7.36", "d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0"),
  ],
} as const satisfies Record<string, readonly Jar[]>;
