/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>
#include <tarn/resp.h>

static bool glob(const char *pattern, const char *text) {
    return tarn_resp_glob(tarn_span_str(pattern), tarn_span_str(text));
}

Test(glob, stars_and_marks) {
    cr_assert(glob("", "") && !glob("", "a") && !glob("a", ""));
    cr_assert(glob("*", "") && glob("**", "abc") && glob("a*", "a") && glob("*a", "bba"));
    cr_assert(glob("h?llo", "hello") && !glob("h?llo", "hllo") && !glob("?", ""));
    cr_assert(glob("a*b*c", "axxbyybzc") && !glob("a*b*c", "axxbyybz"));
    cr_assert(glob("*ab", "aab") && glob("a*ab*b", "aaabbb") && !glob("key:*", "kex:1"));
}

Test(glob, classes) {
    cr_assert(glob("h[ae]llo", "hello") && glob("h[ae]llo", "hallo") && !glob("h[ae]llo", "hillo"));
    cr_assert(glob("h[^e]llo", "hallo") && !glob("h[^e]llo", "hello"));
    cr_assert(glob("[a-c]", "b") && glob("[c-a]", "b") && !glob("[a-c]", "d"));
    cr_assert(glob("[a-]", "-") && glob("[\\]]", "]") && glob("[\\^a]", "^") && glob("[a", "a"));
    cr_assert(!glob("[]", "a") && !glob("[", "a") && glob("*[0-9]x", "a1b2x"));
}

Test(glob, a_backslash_takes_the_next_as_it_is) {
    cr_assert(glob("\\*", "*") && !glob("\\*", "a") && glob("a\\?", "a?") && glob("\\", "\\"));
}

Test(glob, a_hostile_pattern_takes_no_time) {
    char pattern[2001], text[2001];
    for (int i = 0; i < 2000; i++)
        pattern[i] = i % 2 ? '*' : 'a';
    memset(text, 'a', 2000);
    pattern[1999] = 'b';
    pattern[2000] = text[2000] = 0;
    cr_assert(!glob(pattern, text)); /* exponential where every star is tried again */
}
