/* router_text.h - the parts of artel router that read a text. */
#ifndef CLI_ROUTER_TEXT_H
#define CLI_ROUTER_TEXT_H

int router_explain(int argc, char **argv);
int router_segment(int argc, char **argv);

#endif
