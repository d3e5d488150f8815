// Documents as JSON and as text, whatever bytes are in them.
#include "base/document.h"

#include <string>

#include <gtest/gtest.h>

namespace marble {
namespace {

Document Sample() {
  Document list = Document::Array();
  list.Append(Document::Object().Add("a", 1).Add("b", "two"));
  list.Append(Document::Text("three"));
  Document out = Document::Object();
  out.Add("yes", true).Add("list", std::move(list)).Add("none", Document::Array());
  return out;
}

TEST(Document, JsonKeepsOrderAndNesting) {
  EXPECT_EQ(
      Sample().ToJson(),
      "{\n  \"yes\": true,\n  \"list\": [\n    {\n      \"a\": 1,\n      \"b\": \"two\"\n    },\n"
      "    \"three\"\n  ],\n  \"none\": []\n}\n");
}

TEST(Document, TextHasALineForEachFlatObject) {
  EXPECT_EQ(Sample().ToText(), "yes: true\nlist:\n  - a=1  b=two\n  - three\nnone: none\n");
}

TEST(Document, AnyBytesAreValidJsonAndHarmlessText) {
  Document out = Document::Object();
  out.Add("key", std::string("\"\\\n\x1b[31m\xff", 9));
  EXPECT_EQ(out.ToJson(), "{\n  \"key\": \"\\\"\\\\\\n\\u001b[31m\\u00ff\"\n}\n");
  EXPECT_EQ(out.ToText(), "key: \"\\\\x0a\\x1b[31m\xff\n");
  EXPECT_EQ(Document::Object().Add("k", "\xc3\xa4").ToJson(), "{\n  \"k\": \"\xc3\xa4\"\n}\n");
}

TEST(Document, PrintableIsAsciiAndShort) {
  EXPECT_EQ(Printable("a\\b\x01\xff"), "a\\x5cb\\x01\\xff");
  EXPECT_EQ(Printable("abcdef", 3), "abc... (6 bytes)");
}

}  // namespace
}  // namespace marble
