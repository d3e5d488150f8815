// Findings as documents, for the reports of verifying and repairing.
#pragma once

#include <vector>

#include <marble/verify.h>

#include "base/document.h"

namespace marble {

Document FindingsDocument(const std::vector<Finding>& findings);

}  // namespace marble
