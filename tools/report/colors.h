/* SPDX-License-Identifier: Apache-2.0 */
/*
 * colors.h - the colours of pictures, for a light page; and for each the one that the page's style
 * puts in its place where the reader's is dark.
 */
#ifndef ABAFT_TOOLS_REPORT_COLORS_H
#define ABAFT_TOOLS_REPORT_COLORS_H

#define COLOR_INK  "#333639"
#define COLOR_GRID "#dadde0"
#define COLOR_1	   "#2166ac"
#define COLOR_2	   "#c2570c"
#define COLOR_3	   "#2a8148"
#define COLOR_4	   "#b3202c"
#define COLOR_5	   "#7b4fa6"
#define COLOR_6	   "#0f7f86"

/* X(light, dark) */
#define COLORS(X)                                                                                  \
	X(COLOR_INK, "#c9cdd1")                                                                    \
	X(COLOR_GRID, "#3a3e42")                                                                   \
	X(COLOR_1, "#6aaeea")                                                                      \
	X(COLOR_2, "#f09a55")                                                                      \
	X(COLOR_3, "#63c285")                                                                      \
	X(COLOR_4, "#f07178")                                                                      \
	X(COLOR_5, "#bb96e6")                                                                      \
	X(COLOR_6, "#4fc4cb")

#endif
