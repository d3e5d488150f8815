// For tests of sabot::storage.
#pragma once

#include <gtest/gtest.h>

#include "sabot/storage/interface.h"

#define ASSERT_SABOT_OK(expression)                                         \
  do {                                                                      \
    const ::sabot::storage::Status status_ = (expression);                  \
    ASSERT_TRUE(status_.ok()) << #expression << ": " << status_.ToString(); \
  } while (false)
