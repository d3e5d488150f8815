// Precompiled for the tests: what the library's header has, and GoogleTest.
#pragma once
#include "pch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
