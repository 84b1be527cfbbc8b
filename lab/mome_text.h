/* mome_text.h - what the report of the lab of the Mixture of Modular Experts says in sentences. */
#ifndef AT_MOME_TEXT_H
#define AT_MOME_TEXT_H

extern const char *const mome_text_intro;
extern const char *const mome_text_reading;
extern const char *const mome_text_losses;
extern const char *const mome_text_teacher;
extern const char *const mome_text_compositions;
extern const char *const mome_text_router;
extern const char *const mome_text_forgetting;
extern const char *const mome_text_texts;

#endif
