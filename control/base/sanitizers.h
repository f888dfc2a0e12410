/* SPDX-License-Identifier: Apache-2.0 */
/* sanitizers.h - whether this was built with SANITIZE=..., whose run-time library needs more of the kernel than we do
 */
#ifndef PODSWITCH_SANITIZERS_H
#define PODSWITCH_SANITIZERS_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BUILT_WITH_SANITIZERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define BUILT_WITH_SANITIZERS 1
#endif
#endif
#ifndef BUILT_WITH_SANITIZERS
#define BUILT_WITH_SANITIZERS 0
#endif

#endif
